{#- The value of a parameter of an address, as it stands there; NULL where it has none or an empty one. -#}
{% macro url_parameter(url, name) -%}
    {{ return(adapter.dispatch('url_parameter', 'adstar')(url, name)) }}
{%- endmacro %}

{% macro postgres__url_parameter(url, name) -%}
    nullif(substring({{ url }} from '[?&]{{ name }}=([^&#]*)'), '')
{%- endmacro %}

{% macro redshift__url_parameter(url, name) -%}
    nullif(regexp_substr({{ url }}, '[?&]{{ name }}=([^&#]*)', 1, 1, 'e'), '')
{%- endmacro %}
