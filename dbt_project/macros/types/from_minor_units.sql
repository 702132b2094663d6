{#- Meta's budgets (a whole number of minor units) as money. The divisor is Meta's own "offset" of the currency, not
    the exponent of ISO 4217 (https://developers.facebook.com/docs/marketing-api/currencies); unknown for the
    unknown currency XXX. -#}
{% macro from_minor_units(amount, currency) -%}
    cast(
        {{ amount }} * case when {{ currency }} <> 'XXX' then {{ minor_unit(currency) }} end as {{ type_money() }}
    )
{%- endmacro %}
