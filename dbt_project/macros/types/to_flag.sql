{#- A landed JSON boolean. -#}
{% macro to_flag(text) -%}
    case {{ text }} when 'true' then true when 'false' then false end
{%- endmacro %}
