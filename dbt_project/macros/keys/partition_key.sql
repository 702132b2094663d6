{#- The key of one account's day on one platform: what the facts are rebuilt by. -#}
{% macro partition_key(platform, account_id, date_day) -%}
    {{ surrogate_key([platform, account_id, 'cast(' ~ date_day ~ ' as ' ~ type_text() ~ ')']) }}
{%- endmacro %}
