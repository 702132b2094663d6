{#- When a source (or one of its raw tables) was last read and committed; of a source as a whole its reports count, not
    the lists of its accounts. Rendered when dbt asks, so it finds out itself whether anything has landed yet: a source
    that never has is not configured, and so not stale. Of a source of feeds, which are configured one by one, that is
    said of each (`by_itself`). -#}
{% macro freshness_query(source_name, resource=none, by_itself=false) -%}
    {%- set covered = api.Relation.create(
        database=target.database, schema='raw_' ~ source_name, identifier='covered') -%}
    {%- set commits = api.Relation.create(database=target.database, schema='ops', identifier='commits') -%}
    {%- if landed_columns(covered, ['run_seq']) and landed_columns(commits, ['run_seq']) -%}
        {%- set counts = "covered.resource = '" ~ resource ~ "'" if resource else 'covered.day is not null' %}
        select
            case
                when count(*) = 0 then current_timestamp
                else max(case when {{ counts }} then covered.read_at end)
            end
        from {{ covered }} as covered
        where
            covered.run_seq in (select commits.run_seq from {{ commits }} as commits)
            {%- if by_itself %}
            and covered.resource = '{{ resource }}'
            {%- endif %}
    {%- else -%}
        select current_timestamp
    {%- endif -%}
{%- endmacro %}
