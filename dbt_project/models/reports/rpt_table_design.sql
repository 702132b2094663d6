with declared as (
    {{ declared_designs() }}
),

actual as (
    {{ actual_designs() }}
)

select
    cast(declared.mart as {{ type_text() }}) as mart,
    cast(declared.distribution as {{ type_text() }}) as declared_distribution,
    cast(actual.distribution as {{ type_text() }}) as actual_distribution,
    cast(nullif(declared.sort_column, '') as {{ type_text() }}) as declared_sort_column,
    cast(actual.sort_column as {{ type_text() }}) as actual_sort_column,
    cast(
        case
            when actual.mart is null then 'not built or empty'
            when actual.distribution is null then 'no keys here'
            when
                declared.distribution = actual.distribution
                and declared.sort_column = actual.sort_column
                and declared.sort_columns = actual.sort_columns
                then 'as declared'
            else 'different'
        end as {{ type_text() }}
    ) as state,
    actual.estimated_rows,
    actual.skew,
    actual.unsorted_percent,
    actual.stale_statistics_percent
from declared
left join actual on declared.mart = actual.mart
