{#- A time zone's name if the engine knows it; else the zone whose days end last, so that an account without zone is
    never called settled too early. -#}
{% macro known_time_zone(time_zone) -%}
    {{ return(adapter.dispatch('known_time_zone', 'adstar')(time_zone)) }}
{%- endmacro %}

{% macro postgres__known_time_zone(time_zone) -%}
    case
        when {{ time_zone }} in (select name from pg_timezone_names) then {{ time_zone }}
        else 'Etc/GMT+12'
    end
{%- endmacro %}

{% macro redshift__known_time_zone(time_zone) -%}
    coalesce({{ time_zone }}, 'Etc/GMT+12')
{%- endmacro %}
