{#- One pass over the table for all `not_null` constraints of the model's contract. -#}
{% macro add_not_null_constraints(relation) -%}
    {%- set changes = [] -%}
    {%- for column in model.columns.values() -%}
        {%- if column.constraints | selectattr('type', 'equalto', 'not_null') | list -%}
            {%- do changes.append('alter column ' ~ adapter.quote(column.name) ~ ' set not null') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if changes %}
    alter table {{ relation }} {{ changes | join(', ') }};
    {%- endif -%}
{%- endmacro %}
