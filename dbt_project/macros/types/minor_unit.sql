{#- The smallest amount a platform reports in a currency: Meta's list of currencies without cents. -#}
{% macro minor_unit(currency) -%}
    case
        when {{ currency }} in ('CLP', 'COP', 'CRC', 'HUF', 'ISK', 'IDR', 'JPY', 'KRW', 'PYG', 'TWD', 'VND') then 1
        else 0.01
    end
{%- endmacro %}
