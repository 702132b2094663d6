-- Every current set holds exactly the rows its receipt counted: no landed page is missing, no row is there twice.
{{ blocks_nothing() }}
{{ sets_without_their_rows('facebook_ads') }}
