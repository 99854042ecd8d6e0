# Completion of `runner` for fish. In ~/.config/fish/config.fish:  runner completion fish | source
function __runner_complete
    set -l before (commandline -opc)
    set -l last (commandline -ct)
    runner completion fish -- $before[2..-1] "$last" 2>/dev/null </dev/null | while read -l -d \t kind value help
        switch $kind
            case plain
                printf '%s\t%s\n' $value "$help"
            case dir
                __fish_complete_directories "$last"
            case file
                __fish_complete_path "$last"
        end
    end
end
complete --command runner --no-files --arguments '(__runner_complete)'
