{#- The statement that writes a relation as Parquet below the folder `to` (`s3://bucket/folder/`) of S3: whole, or with
    a folder for each month of the date column `partitioned_by`, of all months or of those in `months` (`2026-03`).
    https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html -#}
{% macro unload(relation, to, partitioned_by=none, months=[]) -%}
    {{ return(adapter.dispatch('unload', 'adstar')(relation, to, partitioned_by, months)) }}
{%- endmacro %}

{% macro default__unload(relation, to, partitioned_by, months) -%}
    {%- do exceptions.raise_compiler_error(
        "only Redshift can UNLOAD; of " ~ target.type ~ " scripts/export reads the marts itself"
    ) -%}
{%- endmacro %}

{% macro redshift__unload(relation, to, partitioned_by, months) -%}
    {%- set role = env_var('ADSTAR_REDSHIFT_IAM_ROLE', '') -%}
    {%- set key = env_var('ADSTAR_EXPORT_KMS_KEY_ID', '') -%}
    {%- set region = env_var('ADSTAR_EXPORT_REGION', '') -%}
    {%- if not role -%}
        {%- do exceptions.raise_compiler_error(
            "ADSTAR_REDSHIFT_IAM_ROLE is not set: UNLOAD writes to S3 with that role of the cluster, or its `default`"
        ) -%}
    {%- endif -%}
    {%- set known = months | reject('equalto', '__HIVE_DEFAULT_PARTITION__') | list -%}
    {%- set month = "to_char(" ~ partitioned_by ~ ", 'YYYY-MM')" -%}
    {%- set wanted = [] -%}
    {%- if known -%}
        {#- The range is for Redshift, which skips blocks by it. -#}
        {%- do wanted.append(
            "(" ~ partitioned_by ~ " between cast('" ~ (known | min) ~ "-01' as date)"
            ~ " and last_day(cast('" ~ (known | max) ~ "-01' as date))"
            ~ " and " ~ month ~ " in ('" ~ known | sort | join("', '") ~ "'))"
        ) -%}
    {%- endif -%}
    {%- if known | length < months | length -%}
        {%- do wanted.append(partitioned_by ~ " is null") -%}
    {%- endif -%}
    {%- set query -%}
        select *{{ ", " ~ month ~ " as date_month" if partitioned_by }} from {{ relation }}
        {{- " where " ~ wanted | join(" or ") if wanted }}
        {{- " order by " ~ partitioned_by if partitioned_by }}
    {%- endset -%}
    {#- Neither ALLOWOVERWRITE nor CLEANPATH: the folder is a new one, and one that is not shall be an error. -#}
    unload ('{{ query | replace("'", "''") }}')
    to '{{ to }}'
    iam_role {{ "default" if role == "default" else "'" ~ role ~ "'" }}
    format as parquet
    {{- "\n    partition by (date_month)" if partitioned_by }}
    manifest verbose
    maxfilesize 256 mb
    {{- "\n    encrypted kms_key_id '" ~ key ~ "'" if key }}
    {{- "\n    region '" ~ region ~ "'" if region }}
{%- endmacro %}
