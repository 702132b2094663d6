{#- The first, second or third number of a version such as 2.3.0, which is text: it may have two parts or three, and
    "2.10" is newer than "2.9". NULL where it has none. -#}
{% macro version_part(version, part) -%}
    {{ try_cast("nullif(split_part(" ~ version ~ ", '.', " ~ part ~ "), '')", 'integer') }}
{%- endmacro %}
