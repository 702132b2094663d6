{#- A fact row's exchange rate: that of its account's day (`days` of joined_days_and_versions). It is the rate of the
    account's currency, and no other one is ever converted with it. -#}
{% macro rate_of_day(fact, days) -%}
    case
        when coalesce({{ fact }}.currency_code, {{ days }}.currency_code) = {{ days }}.currency_code
            then {{ days }}.exchange_rate
    end
{%- endmacro %}
