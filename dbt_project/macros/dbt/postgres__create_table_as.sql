{#- Instead of dbt-postgres' own: under an enforced contract that one creates the table empty and fills it with
    INSERT ... SELECT, which Postgres never runs in parallel. This checks the same contract and lets CREATE TABLE AS
    do the work; the columns' constraints are added afterwards. -#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- set contract = config.get('contract') -%}
    {%- if contract.enforced %}
    {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    create {{ 'temporary' if temporary }} table {{ relation.include(database=not temporary, schema=not temporary) }}
    as (
        {%- if contract.enforced %}
        {{ get_select_subquery(sql) }}
        {%- else %}
        {{ sql }}
        {%- endif %}
    );
    {%- if contract.enforced and not temporary %}
    {{ add_not_null_constraints(relation) }}
    {%- endif %}
{%- endmacro %}
