{#- A condition: the pattern is found somewhere in the text. Never NULL: a NULL matches nothing. -#}
{% macro matches_regex(text, regex, flags, is_raw) -%}
    {{ return(adapter.dispatch("matches_regex", "dbt_expectations")(text, regex, flags, is_raw)) }}
{%- endmacro %}

{% macro default__matches_regex(text, regex, flags, is_raw) -%}
    regexp_match({{ text }}, '{{ regex }}', '{{ flags }}') is not null
{%- endmacro %}

{% macro redshift__matches_regex(text, regex, flags, is_raw) -%}
    coalesce(regexp_instr({{ text }}, '{{ regex }}'{% if flags %}, 1, 1, 0, '{{ flags }}'{% endif %}), 0) > 0
{%- endmacro %}
