{#- A fact row's key in dim_campaign: the version joined_days_and_versions found; the first (or the inferred) one,
    whose key needs no lookup, where it found none. -#}
{% macro campaign_key(fact, versions, platform) -%}
    coalesce(
        {{ versions }}.campaign_key,
        {{ entity_key([platform or fact ~ '.platform', fact ~ '.account_id'], fact ~ '.campaign_id') }}
    )
{%- endmacro %}
