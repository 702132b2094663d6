{#- A select list of raw fields; a field that no record ever had has no column, and is a NULL here: a text one, or of
    the type that `fields` maps it to. Drift is not hidden: assert_fields_are_as_declared names it.
    `documents` are columns that hold JSON as such: they come out as text. What is a word of SQL stands in quotes. -#}
{% macro landed_fields(fields, present, prefix, documents=[]) -%}
    {%- for field in fields %}
        {%- set name = adapter.quote(field) if field in ('offset', 'partition', 'timestamp') else field %}
        {% if field in documents -%}
            {{ document_text(prefix ~ name) }} as {{ name }}
        {%- elif field in present -%}
            {{ prefix }}{{ name }}
        {%- else -%}
            cast(null as {{ fields[field] if fields is mapping else type_text() }}) as {{ name }}
        {%- endif -%}
        {%- if not loop.last %},{% endif -%}
    {%- endfor -%}
{%- endmacro %}
