-- Every current set of a feed that the sources declare holds exactly the rows its receipt counted.
{{ blocks_nothing() }}
{%- set declared = raw_tables('http_json') | map(attribute='name') | join("', '") %}
{{ sets_without_their_rows('http_json', "sets.is_current and sets.resource in ('" ~ declared ~ "')") }}
