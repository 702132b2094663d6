{#- Post-hook of a small table that drives big joins: several workers share even its few pages, and the planner
    knows it well. -#}
{% macro share_among_workers() -%}
    {{ return(adapter.dispatch('share_among_workers', 'adstar')()) }}
{%- endmacro %}

{% macro postgres__share_among_workers() -%}
    alter table {{ this }} set (parallel_workers = 2);
    analyze {{ this }}
{%- endmacro %}

{% macro redshift__share_among_workers() -%}
    analyze {{ this }}
{%- endmacro %}
