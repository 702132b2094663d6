-- Every record that came is in the star. It warns: what waits is kept, and somebody has to look at it.
{{ blocks_nothing() }}
{{ config(severity='warn', meta={'dimension': 'completeness', 'severity': 'major', 'subjects': ['sqs', 'kafka']}) }}
select * from {{ ref('rpt_quarantine') }}
where waiting_records > 0
