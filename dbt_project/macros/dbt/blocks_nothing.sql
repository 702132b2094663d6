{#- At the top of a test. A failing test makes dbt skip all that comes after everything it looks at: that would leave
    today's facts beside yesterday's dimensions, and other offenders unnamed. Nothing comes after a report. -#}
{% macro blocks_nothing() -%}
    -- depends_on: {{ ref('rpt_restatements') }}
{%- endmacro %}
