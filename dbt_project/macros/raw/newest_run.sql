{#- The newest run of which a table has rows; of those by one of the two ways (loader, spark) if it has rows of both:
    what one of them commits may have a lower number than what the other has committed before. -#}
{% macro newest_run(relation, by=none) -%}
    {%- if by -%}
        {%- set asked -%}
            select coalesce(max(commits.run_seq), 0)
            from {{ source('ops', 'commits') }} as commits
            where
                commits.pipeline {{ '=' if by == 'spark' else '<>' }} 'kafka_spark'
                and exists (select 1 from {{ relation }} as built where built.run_seq = commits.run_seq)
        {%- endset -%}
    {%- else -%}
        {%- set asked = 'select coalesce(max(run_seq), 0) from ' ~ relation -%}
    {%- endif -%}
    {{ return(run_query(asked).rows[0][0]) }}
{%- endmacro %}
