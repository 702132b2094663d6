{#- At the top of a test: it runs once the star is built, whatever it looks at. A failing test makes dbt skip all that
    comes after what it tests, which would leave today's facts beside yesterday's dimensions, and other offenders
    unnamed. -#}
{% macro blocks_nothing() -%}
    -- depends_on: {{ ref('rpt_reconciliation') }}
{%- endmacro %}
