{#- The joins every fact makes: its account's day, as `days`, and the version of its campaign at the end of that day,
    as `versions` (second and later ones only; see campaign_key). The left join can't lose or double a row. -#}
{% macro joined_days_and_versions(fact, platform) -%}
inner join {{ ref('int_account_days__read') }} as days
        on {{ fact }}.partition_key = days.partition_key
    left join {{ ref('int_campaigns__versioned') }} as versions
        on
            versions.platform = {{ platform or fact ~ '.platform' }}
            and versions.version_no > 1
            and {{ fact }}.account_id = versions.account_id
            and {{ fact }}.campaign_id = versions.campaign_id
            and {{ fact }}.date_day >= versions.applies_from_date
            and {{ fact }}.date_day < versions.applies_before_date
{%- endmacro %}
