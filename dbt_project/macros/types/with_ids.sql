{#- What a platform adds to an address, as a query string, with its placeholders for ids (name -> column) filled in. -#}
{% macro with_ids(parameters, ids) -%}
    {%- set filled = namespace(sql="'?' || " ~ parameters) -%}
    {%- for name, column in ids.items() -%}
        {%- set placeholder = "'{{" ~ name ~ "}}'" -%}
        {%- set filled.sql = "replace(" ~ filled.sql ~ ", " ~ placeholder ~ ", coalesce(" ~ column ~ ", " ~ placeholder ~ "))" -%}
    {%- endfor -%}
    {{ filled.sql }}
{%- endmacro %}
