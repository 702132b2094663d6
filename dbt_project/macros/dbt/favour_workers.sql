{#- Pre-hook of the facts: Postgres overestimates the rows of unnested JSON a hundredfold: it would read alone, so as
    not to hand over that many, and remember results that never come again. For this transaction only. -#}
{% macro favour_workers() -%}
    {{ return(adapter.dispatch('favour_workers', 'adstar')()) }}
{%- endmacro %}

{% macro postgres__favour_workers() -%}
    set local parallel_tuple_cost = 0;
    set local parallel_setup_cost = 0;
    set local enable_memoize = off;
{%- endmacro %}

{% macro redshift__favour_workers() -%}{%- endmacro %}
