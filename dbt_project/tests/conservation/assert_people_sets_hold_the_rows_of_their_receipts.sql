-- Every set that counts holds exactly the rows its receipt counted: the newest of CleverTap's; of the database, the
-- queue and the topics, which are appended, all.
{{ blocks_nothing() }}
{{ sets_without_their_rows('clevertap') }}
union all
{{ sets_without_their_rows('rds', 'true') }}
union all
{{ sets_without_their_rows('sqs', 'true') }}
union all
{{ sets_without_their_rows('kafka', 'true') }}
