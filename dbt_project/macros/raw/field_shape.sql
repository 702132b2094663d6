{#- A condition: is this landed text of the shape its source declares? Absent values are, and those that land `typed`. -#}
{% macro field_shape(column, shape) -%}
    {%- set patterns = {
        'id': '^[a-zA-Z_]*[0-9]+$',
        'integer': '^-?[0-9]+$',
        'decimal': '^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$',
        'date': '^[0-9]{4}-[0-9]{2}-[0-9]{2}$',
        'instant': '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}',
        'local_second': '^[0-9]{14}$',
        'epoch_ms': '^[0-9]{13}$',
        'boolean': '^(true|false)$',
        'list': '^[[]',
        'object': '^[{]',
    } -%}
    {%- if shape in patterns -%}
        ({{ column }} is null or {{ column }} ~ '{{ patterns[shape] }}')
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
