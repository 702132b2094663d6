-- No field without which the star would be wrong has vanished or changed its shape.
{{ blocks_nothing() }}
select * from {{ ref('rpt_field_drift') }}
where is_required
