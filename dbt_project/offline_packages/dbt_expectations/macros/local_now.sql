{#- The database's clock as a timestamp without zone, as it reads in the zone of the var `dbt_date:time_zone`. -#}
{% macro local_now() -%}
    {{ return(adapter.dispatch("local_now", "dbt_expectations")()) }}
{%- endmacro %}

{% macro default__local_now() -%}
    (now() at time zone '{{ var("dbt_date:time_zone") }}')
{%- endmacro %}

{% macro redshift__local_now() -%}
    convert_timezone('UTC', '{{ var("dbt_date:time_zone") }}', getdate())
{%- endmacro %}
