{#- The key of a device by its pseudonym, whichever source saw it. -#}
{% macro device_key(device_pseudonym) -%}
    {{ entity_key(["'device'"], device_pseudonym) }}
{%- endmacro %}
