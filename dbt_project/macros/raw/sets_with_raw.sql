{#- The join of versions of sets with the raw rows that hold them. -#}
{% macro sets_with_raw(sets, raw, by_day) -%}
    from {{ sets }} as sets
    inner join {{ raw }} as landed
        on
            sets.account_id = landed._account
            and sets.data_run_seq = landed._run_seq
            {%- if by_day %}
            and sets.date_day = landed._day
            {%- endif %}
{%- endmacro %}
