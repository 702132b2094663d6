{#- The place of a rule in match_rules, from 1. -#}
{% macro match_rank(rule) -%}
    case {{ rule }}
        {%- for name in match_rules() %}
        when '{{ name }}' then {{ loop.index }}
        {%- endfor %}
    end
{%- endmacro %}
