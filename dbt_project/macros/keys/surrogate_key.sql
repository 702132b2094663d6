{#- A bigint that stands for a list of text expressions: the first 60 bits of the md5 of the parts, each with its
    length before it, so that ('ab', 'c') and ('a', 'bc') differ. Equal on every engine, never negative. -#}
{% macro surrogate_key(parts) -%}
    {%- set written = [] -%}
    {%- for part in parts -%}
        {%- do written.append(
            "coalesce(cast(length(" ~ part ~ ") as " ~ type_text() ~ ") || ':' || " ~ part ~ ", '-')"
        ) -%}
    {%- endfor -%}
    {{ return(md5_to_bigint(written | join(' || '))) }}
{%- endmacro %}
