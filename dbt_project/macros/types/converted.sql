{#- An amount times an exchange rate, as money; NULL where either is missing. Redshift's product of two numerics has
    38 digits in all: without narrower operands only four of them would be decimals. -#}
{% macro converted(amount, rate) -%}
    {{ return(adapter.dispatch('converted', 'adstar')(amount, rate)) }}
{%- endmacro %}

{% macro postgres__converted(amount, rate) -%}
    cast({{ amount }} * {{ rate }} as {{ type_money() }})
{%- endmacro %}

{% macro redshift__converted(amount, rate) -%}
    {#- A cast to fewer decimals cuts them off there. -#}
    cast(round(cast({{ amount }} as numeric(24, 9)) * cast({{ rate }} as numeric(25, 15)), 9) as {{ type_money() }})
{%- endmacro %}
