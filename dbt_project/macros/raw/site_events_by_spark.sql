{#- Whether the site's events are flattened by the job of Spark (docs/spark.md) and not only by the build itself. -#}
{% macro site_events_by_spark() -%}
    {%- set by = var('site_events_by') -%}
    {%- if by not in ('loader', 'spark') -%}
        {{ exceptions.raise_compiler_error("site_events_by is '" ~ by ~ "'; it is loader or spark") }}
    {%- endif -%}
    {%- if by == 'spark' and target.type != 'postgres' -%}
        {{ exceptions.raise_compiler_error("site_events_by is spark, and Spark's job writes to Postgres only") }}
    {%- endif -%}
    {{ return(by == 'spark') }}
{%- endmacro %}
