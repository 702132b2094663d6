{#- The first 15 hexadecimal digits of a text's md5 as a bigint. -#}
{% macro md5_to_bigint(text) -%}
    {{ return(adapter.dispatch('md5_to_bigint', 'adstar')(text)) }}
{%- endmacro %}

{% macro postgres__md5_to_bigint(text) -%}
    cast(cast('x' || substr(md5({{ text }}), 1, 15) as bit(60)) as bigint)
{%- endmacro %}

{% macro redshift__md5_to_bigint(text) -%}
    strtol(substring(md5({{ text }}), 1, 15), 16)
{%- endmacro %}
