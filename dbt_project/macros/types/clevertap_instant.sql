{#- CleverTap's `ts`, a time in the project's zone (var clevertap_time_zone), as an instant: yyyyMMddHHmmss, or ISO text
    in the form to come. Of the hour that a change of clocks repeats it does not say which one it is: the second one
    (standard time) is taken, as Postgres does by itself. NULL where it is no time. -#}
{% macro clevertap_instant(ts) -%}
    {%- set zone = "'" ~ var('clevertap_time_zone') ~ "'" -%}
    {%- set digits = [] -%}
    {%- for first, length, after in [(1, 4, '-'), (5, 2, '-'), (7, 2, ' '), (9, 2, ':'), (11, 2, ':'), (13, 2, '')] -%}
        {%- do digits.append("substring(" ~ ts ~ ", " ~ first ~ ", " ~ length ~ ")" ~ (" || '" ~ after ~ "'" if after)) -%}
    {%- endfor -%}
    case
        when {{ field_shape(ts, 'local_second') }}
            then {{ local_instant(try_cast(digits | join(' || '), 'timestamp'), zone) }}
        when {{ ts }} ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?$'
            then {{ local_instant(try_cast(ts, 'timestamp'), zone) }}
        else {{ to_instant(ts) }}
    end
{%- endmacro %}
