{#- When a source (or one of its raw tables) was last read and committed. Asked of the receipts' view, which exists
    whether the source is configured or not; one that was never read is not configured, and so not stale. -#}
{% macro freshness_query(source_name, resource=none) -%}
    select
        case
            when count(*) = 0 then current_timestamp
            else max({% if resource %}case when resource = '{{ resource }}' then read_at end{% else %}read_at{% endif %})
        end
    from {{ generate_schema_name('staging', none) | trim }}.stg_{{ source_name }}__receipts
{%- endmacro %}
