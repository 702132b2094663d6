{#- At the end of a run: keeps what each test said, once for each subject. -#}
{% macro note_test_results(results) -%}
    {%- set rows = [] -%}
    {%- if execute and flags.WHICH in ('build', 'test') -%}
        {%- for result in results if result.node.resource_type == 'test' -%}
            {%- set meta = result.node.config.meta -%}
            {%- for subject, kind in test_subjects(result.node).items() -%}
                {%- do rows.append(
                    "('" ~ invocation_id ~ "', cast('" ~ run_started_at.isoformat() ~ "' as timestamptz), '"
                    ~ [result.node.name[:200], subject, kind, meta.dimension, meta.severity, result.status] | join("', '")
                    ~ "', " ~ (result.failures if result.failures is not none else 'null') ~ ")"
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if rows %}
    insert into {{ test_results() }}
        (build_id, built_at, test_name, subject, subject_kind, dimension, severity, status, failures)
    values {{ rows | join(', ') }}
    {%- endif -%}
{%- endmacro %}
