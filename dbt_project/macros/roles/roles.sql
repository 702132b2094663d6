{#- Who may do what where: [role, schemas as a pattern, rights on the schema, rights on its tables]. What the auditor
    and the loader may in `ops` beside this stands in grant_roles. -#}
{% macro roles() -%}
    {%- set prefix = env_var('ADSTAR_SCHEMA_PREFIX', '') -%}
    {%- set read = '^' ~ prefix ~ '(marts|reports)$' -%}
    {%- set built = '^' ~ prefix ~ '(' ~ target.schema ~ '|staging|intermediate|marts|reports|quality|test_failures)$' -%}
    {{ return([
        ['adstar_loader', '^(raw_.*|ops)$', ['usage', 'create'], ['select', 'insert', 'update', 'delete']],
        ['adstar_transformer', '^(raw_.*|ops)$', ['usage'], ['select']],
        ['adstar_transformer', built, ['usage', 'create'], ['select', 'insert', 'update', 'delete', 'truncate']],
        ['adstar_analyst', read, ['usage'], ['select']],
        ['adstar_auditor', read, ['usage'], ['select']],
    ]) }}
{%- endmacro %}
