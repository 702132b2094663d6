{#- How many days back from the newest one the loaders read again, by platform (var reread_days). -#}
{% macro reread_days(platform) -%}
    case {{ platform }}
        {%- for name, days in var('reread_days').items() %}
        when '{{ name }}' then {{ days }}
        {%- endfor %}
    end
{%- endmacro %}
