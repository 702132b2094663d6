{#- One exchange rate by another, as a rate: rounded once, after the division. Redshift's quotient of two numerics has
    as many decimals as the operands leave room for: sixteen with these. -#}
{% macro quotient(dividend, divisor) -%}
    {{ return(adapter.dispatch('quotient', 'adstar')(dividend, divisor)) }}
{%- endmacro %}

{% macro postgres__quotient(dividend, divisor) -%}
    cast({{ dividend }} / {{ divisor }} as {{ type_rate() }})
{%- endmacro %}

{% macro redshift__quotient(dividend, divisor) -%}
    {#- A cast to fewer decimals cuts them off there. -#}
    cast(
        round(cast({{ dividend }} as numeric(22, 12)) / cast({{ divisor }} as numeric(22, 12)), 15) as {{ type_rate() }}
    )
{%- endmacro %}
