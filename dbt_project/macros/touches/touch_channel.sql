{#- The channel of a visit that said where it came from: its platform, `email`, or `other`. -#}
{% macro touch_channel(platform, utm_medium) -%}
    case
        when {{ platform }} is not null then {{ platform }}
        when lower({{ utm_medium }}) in ('email', 'e-mail', 'newsletter') then 'email'
        else 'other'
    end
{%- endmacro %}
