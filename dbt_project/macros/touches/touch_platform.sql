{#- On which platform's account a visit was, as far as its address tells: by a click id, an id in the address, or the
    UTM parameters of a paid visit. The columns gclid, fbclid, url_campaign_id, utm_medium and utm_source are read. -#}
{% macro touch_platform() -%}
    case
        when gclid is not null or url_campaign_id is not null then 'google_ads'
        when fbclid is not null then 'facebook_ads'
        when lower(utm_medium) not in ('cpc', 'ppc', 'paid', 'paid_social', 'paidsocial', 'cpm') then null
        when lower(utm_source) in ('google', 'adwords', 'googleads') then 'google_ads'
        when lower(utm_source) in ('facebook', 'fb', 'instagram', 'ig', 'meta') then 'facebook_ads'
    end
{%- endmacro %}
