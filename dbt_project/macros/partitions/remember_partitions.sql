{#- Post-hook of the incremental facts: remembers the states they were just built from. -#}
{% macro remember_partitions() -%}
    {%- set built = built_partitions() -%}
    delete from {{ built }} where fact_name = '{{ this.identifier }}';
    insert into {{ built }}
    select '{{ this.identifier }}', partition_key, account_key, date_day, {{ this.identifier }}_state
    from {{ ref('int_account_days__read') }}
{%- endmacro %}
