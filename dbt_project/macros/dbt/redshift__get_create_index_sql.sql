{#- Redshift has no indexes, and dbt would make those of a model's config there as for Postgres. -#}
{% macro redshift__get_create_index_sql(relation, index_dict) -%}{%- endmacro %}
