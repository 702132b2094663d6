{#- A select list of raw fields; a field that no record ever had has no column, and is a NULL here: a text one, or of
    the type that `fields` maps it to. Drift is not hidden: assert_fields_are_as_declared names it.
    `documents` are columns that hold JSON as such: they come out as text. -#}
{% macro landed_fields(fields, present, prefix, documents=[]) -%}
    {%- for field in fields %}
        {% if field in documents -%}
            {{ document_text(prefix ~ field) }} as {{ field }}
        {%- elif field in present -%}
            {{ prefix }}{{ field }}
        {%- else -%}
            cast(null as {{ fields[field] if fields is mapping else type_text() }}) as {{ field }}
        {%- endif -%}
        {%- if not loop.last %},{% endif -%}
    {%- endfor -%}
{%- endmacro %}
