{#- CleverTap's `ts`, yyyyMMddHHmmss in the project's time zone (var clevertap_time_zone), as an instant. Of the hour that
    a change of clocks repeats it does not say which one it is: the second (standard time) is taken, as both engines do.
    Text of any other form is read as an instant with an offset, and is NULL where it is none. -#}
{% macro clevertap_instant(ts) -%}
    {%- set digits = [] -%}
    {%- for first, length, after in [(1, 4, '-'), (5, 2, '-'), (7, 2, ' '), (9, 2, ':'), (11, 2, ':'), (13, 2, '')] -%}
        {%- do digits.append("substring(" ~ ts ~ ", " ~ first ~ ", " ~ length ~ ")" ~ (" || '" ~ after ~ "'" if after)) -%}
    {%- endfor -%}
    case
        when {{ field_shape(ts, 'local_second') }}
            then {{ local_instant(try_cast(digits | join(' || '), 'timestamp'), "'" ~ var('clevertap_time_zone') ~ "'") }}
        else {{ to_instant(ts) }}
    end
{%- endmacro %}
