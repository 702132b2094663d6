{#- dbt-redshift's own. A project's macros for Postgres go before an adapter's for Redshift, so without this one the
    macro beside it would be taken, which knows of no keys. -#}
{% macro redshift__create_table_as(temporary, relation, sql) -%}
    {{ return(dbt.redshift__create_table_as(temporary, relation, sql)) }}
{%- endmacro %}
