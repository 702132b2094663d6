{#- One of each rows that were loaded twice. Twins are equal in every column; rows that share (_run_seq, _row_no) and
    differ would both stay, and fail the tests. Postgres: DISTINCT, as a window function would keep the whole union
    of landed_rows from being read in parallel. Redshift: SUPER has no DISTINCT. -#}
{% macro one_of_twins(of_set, fields, joined) -%}
    {{ return(adapter.dispatch('one_of_twins', 'adstar')(of_set, fields, joined)) }}
{%- endmacro %}

{% macro postgres__one_of_twins(of_set, fields, joined) -%}
    select distinct
        sets.resource,
        sets.{{ of_set | join(',\n        sets.') }},
        landed._run_seq,
        landed._row_no,
        {{- fields }}
    {{ joined }}
{%- endmacro %}

{% macro redshift__one_of_twins(of_set, fields, joined) -%}
    select *
    from (
        select
            sets.resource,
            sets.{{ of_set | join(',\n        sets.') }},
            row_number() over (
                partition by landed._account, landed._day, sets.run_seq, landed._run_seq, landed._row_no
                order by landed._dlt_load_id
            ) as twin_no,
            landed._row_no,
            {{- fields }}
        {{ joined }}
    ) as numbered
    where twin_no = 1
{%- endmacro %}
