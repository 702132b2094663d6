{#- Post-hook of fact_ad_performance: Postgres finds its few remainders without reading the ads' rows. Redshift has no
    indexes; there the sort key and the zone maps do it. -#}
{% macro index_remainders() -%}
    {%- if not is_incremental() -%}{{ return(adapter.dispatch('index_remainders', 'adstar')()) }}{%- endif -%}
{%- endmacro %}

{% macro postgres__index_remainders() -%}
    create index on {{ this }} (date_day, account_key) where row_kind = 'remainder'
{%- endmacro %}

{% macro redshift__index_remainders() -%}{%- endmacro %}
