{#- What is known, beside the reports themselves, that can explain a campaign-day's remainder: if it changes, the
    remainder's cause may too, and its partition is rebuilt (changed_remainders). -#}
{% macro remainder_evidence(channel_type, deleted_ads, first_deleted_ad_id, last_deleted_ad_id) -%}
    case
        when {{ is_without_ad_rows(channel_type) }} then 'campaign type ' || {{ channel_type }}
        when {{ deleted_ads }} > 0
            then
                cast({{ deleted_ads }} as {{ type_text() }}) || ' deleted ads, '
                || {{ first_deleted_ad_id }} || ' to ' || {{ last_deleted_ad_id }}
    end
{%- endmacro %}
